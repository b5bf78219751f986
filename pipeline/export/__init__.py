"""One archive of finished results that others can open, check and keep without this program."""
