"""JSON templates, the form that came before HCL."""
