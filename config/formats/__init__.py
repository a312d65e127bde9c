"""How dates are written in the back office (`FORMAT_MODULE_PATH`)."""
