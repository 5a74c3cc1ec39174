"""Bulk translation as an Apache Beam pipeline; see export.beam_translate, the command."""
