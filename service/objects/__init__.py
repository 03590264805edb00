"""DICOM objects: findings written as SEG and SR, and what judges them before they are stored."""
