"""Database engine `config.database`: Django's PostgreSQL backend, with SQL and commits reported to the seam."""
