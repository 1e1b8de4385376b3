"""Decisions about samples one by one: by a person, or by a filter; nothing is compared with anything."""
