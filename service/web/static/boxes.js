// Boxes over a picture and the rows of numbers beside it, which are what the form sends: each follows the other.
"use strict";

(() => {
  const root = document.getElementById("decision");
  if (!root) return;
  const SVG = "http://www.w3.org/2000/svg";
  const NAMES = ["x", "y", "width", "height"];
  const image = root.querySelector(".picture img");
  const svg = root.querySelector(".picture svg");
  const body = root.querySelector("table.boxes tbody");
  const [columns, rows] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
  const frames = Number(root.dataset.frames);
  let frame = Number(root.dataset.frame);
  let drag = null;

  const field = (row, name) => row.querySelector(`input[name^="${name}-"]`);
  const numberOf = (row) => row.dataset.row;
  const isBlank = (row) => NAMES.every((name) => field(row, name).value.trim() === "");
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const pixel = () => columns / Math.max(svg.clientWidth, 1); // image pixels in one of the screen

  function boxOf(row) {
    const values = NAMES.map((name) => field(row, name).value.trim());
    if (!values.every((value) => /^-?\d+$/.test(value))) return null;
    const [x, y, width, height] = values.map(Number);
    return width > 0 && height > 0 ? { x, y, width, height } : null;
  }

  function write(row, box) {
    for (const name of NAMES) field(row, name).value = String(box[name]);
    draw();
  }

  function isShown(row) {
    const wanted = field(row, "frame").value.trim();
    return wanted === "" || Number(wanted) === frame;
  }

  function element(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    return made;
  }

  function draw() {
    const scale = pixel();
    svg.replaceChildren();
    for (const row of body.rows) {
      const box = boxOf(row);
      if (!box || !isShown(row)) continue;
      const number = numberOf(row);
      const chosen = row.contains(document.activeElement) ? " chosen" : "";
      svg.append(element("rect", { class: `box${chosen}`, "data-row": number, ...box }));
      const label = element("text", { x: box.x, y: Math.max(box.y - 4 * scale, 13 * scale), "font-size": 13 * scale });
      label.textContent = number;
      const side = 12 * scale;
      const corner = { x: box.x + box.width - side / 2, y: box.y + box.height - side / 2, width: side, height: side };
      svg.append(label, element("rect", { class: "corner", "data-row": number, ...corner }));
    }
  }

  function newRow() {
    const blank = [...body.rows].find(isBlank);
    if (blank) return blank;
    const last = body.rows[body.rows.length - 1];
    const row = last.cloneNode(true);
    const number = Math.max(...[...body.rows].map((one) => Number(numberOf(one)))) + 1;
    row.dataset.row = String(number);
    row.querySelector(".swatch").textContent = String(number);
    row.querySelector(".found").textContent = "drawn";
    row.querySelector("[data-remove]").setAttribute("aria-label", `Remove box ${number}`);
    for (const input of row.querySelectorAll("input")) {
      input.name = input.name.replace(/\d+$/, String(number));
      input.value = "";
    }
    body.append(row);
    return row;
  }

  function remove(row) {
    if (body.rows.length > 1) row.remove();
    else for (const input of row.querySelectorAll("input")) input.value = "";
    draw();
  }

  function pointAt(event) {
    const bounds = svg.getBoundingClientRect();
    const x = Math.round(((event.clientX - bounds.left) / bounds.width) * columns);
    const y = Math.round(((event.clientY - bounds.top) / bounds.height) * rows);
    return { x: clamp(x, 0, columns), y: clamp(y, 0, rows) };
  }

  const span = (from, to) => ({
    x: Math.min(from.x, to.x),
    y: Math.min(from.y, to.y),
    width: Math.abs(to.x - from.x),
    height: Math.abs(to.y - from.y),
  });

  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    const from = pointAt(event);
    const number = event.target.dataset.row;
    const row = number ? body.querySelector(`tr[data-row="${number}"]`) : newRow();
    const box = boxOf(row);
    if (box && event.target.classList.contains("corner")) drag = { row, act: (to) => span(box, to) };
    else if (box) {
      drag = {
        row,
        act: (to) => ({
          ...box,
          x: clamp(box.x + to.x - from.x, 0, Math.max(columns - box.width, 0)),
          y: clamp(box.y + to.y - from.y, 0, Math.max(rows - box.height, 0)),
        }),
      };
    } else drag = { row, act: (to) => span(from, to), isNew: true };
    svg.setPointerCapture(event.pointerId);
  });

  svg.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const box = drag.act(pointAt(event));
    if (box.width > 0 && box.height > 0) write(drag.row, box);
  });

  function drop() {
    if (drag && drag.isNew && !boxOf(drag.row)) remove(drag.row);
    drag = null;
  }
  svg.addEventListener("pointerup", drop);
  svg.addEventListener("pointercancel", drop);

  body.addEventListener("input", draw);
  body.addEventListener("focusin", draw);
  body.addEventListener("focusout", draw);
  body.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove]");
    if (button) remove(button.closest("tr"));
  });

  function show(wanted) {
    frame = clamp(wanted, 1, frames);
    const address = `${root.dataset.picture}?frame=${frame}`;
    image.src = address;
    image.alt = `Frame ${frame} of ${frames} as it is held`;
    root.querySelector("[data-whole]").href = address;
    for (const output of root.querySelectorAll("[data-shown]")) output.textContent = String(frame);
    draw();
  }
  for (const link of root.querySelectorAll("[data-step]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault(); // another page would forget the boxes
      const wanted = frame + Number(link.dataset.step);
      if (wanted >= 1 && wanted <= frames) show(wanted);
    });
  }

  const undrawn = root.querySelector("[data-undrawn]");
  const tell = () => {
    undrawn.hidden = !(image.complete && image.naturalWidth === 0);
  };
  image.addEventListener("error", tell);
  image.addEventListener("load", tell);
  window.addEventListener("resize", draw);

  for (const shown of root.querySelectorAll("[data-hint], [data-remove]")) shown.hidden = false;
  root.classList.add("draws");
  tell();
  draw();
})();
