"""Where the links in answers begin."""

from __future__ import annotations

import pytest
from flask import Flask, request

from service.web.dicomweb.links import LinkBase

app = Flask(__name__)


@app.get("/dicom-web/studies")
@app.get("/projects/<project>/dicom-web/studies")
def studies(project: str = "default") -> str:
    return project


def root(base: LinkBase, path: str = "/dicom-web/studies", *, port: str = "8080", **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with app.test_request_context(path, headers=named, environ_overrides={"SERVER_PORT": port}):
        return base.service_root(request, (request.view_args or {}).get("project", "default"))


def test_host_without_port_gets_the_listeners() -> None:
    assert root(LinkBase(), Host="127.0.0.1") == "http://127.0.0.1:8080/dicom-web"


def test_host_with_port_is_kept() -> None:
    assert root(LinkBase(), Host="gateway:9000") == "http://gateway:9000/dicom-web"


def test_scheme_s_own_port_is_not_written() -> None:
    assert root(LinkBase(), Host="gateway", port="80") == "http://gateway/dicom-web"


@pytest.mark.parametrize("host", ["[::1]", "[::1]:8080"])
def test_address_in_brackets_has_no_port_inside(host: str) -> None:
    assert root(LinkBase(), Host=host) == "http://[::1]:8080/dicom-web"


def test_host_that_could_break_out_of_a_link_is_not_repeated() -> None:
    assert root(LinkBase(), Host='x"><script>') == "http://localhost:8080/dicom-web"


def test_project_of_the_address_is_in_the_link() -> None:
    path = "/projects/lung-ct/dicom-web/studies"
    assert root(LinkBase(), path, Host="gateway:80") == "http://gateway:80/projects/lung-ct/dicom-web"


def test_configured_address_wins() -> None:
    base = LinkBase("https://images.example.org/annogate/", trust_forwarded=True)
    assert root(base, Host="x", X_Forwarded_Host="y") == "https://images.example.org/annogate/dicom-web"


def test_forwarded_headers_are_ignored_unless_trusted() -> None:
    assert root(LinkBase(), Host="gateway:8080", X_Forwarded_Host="evil") == "http://gateway:8080/dicom-web"


def test_trusted_proxy_says_scheme_host_and_prefix() -> None:
    base = LinkBase(trust_forwarded=True)
    headers = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "first, pacs.example.org", "X_Forwarded_Prefix": "/a"}
    assert root(base, Host="127.0.0.1:8080", **headers) == "https://pacs.example.org/a/dicom-web"


def test_trusted_proxy_that_says_nothing_changes_nothing() -> None:
    assert root(LinkBase(trust_forwarded=True), Host="gateway:8080") == "http://gateway:8080/dicom-web"
