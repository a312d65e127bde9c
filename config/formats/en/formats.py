"""ISO 8601 with seconds: times are read beside logs and the PSP's own pages. All of them are in UTC."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
