"""The JSON interface beside DICOMweb."""
