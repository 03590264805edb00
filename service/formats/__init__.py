"""The formats that training code reads, and the way back in: NIfTI, NRRD, COCO, YOLO, nnU-Net, MONAI, tables."""
