"""DICOM nodes: everything of Annogate that speaks DIMSE."""
