"""One writer for each format. They know the formats from their publications and share no code with the mappers."""
