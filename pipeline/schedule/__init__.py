"""A batch that starts by itself: units of systemd, or a line of a crontab."""
