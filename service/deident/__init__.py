"""De-identification: a profile applied in one recursive pass, and the vault that knows the way back."""
