"""A small trace store for development: takes OTLP over HTTP, keeps the last traces in memory, shows a waterfall."""
