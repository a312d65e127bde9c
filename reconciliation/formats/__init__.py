"""The formats that statements are read in, by name. A mapper is a module here and a line in `FORMATS`."""
