"""Bulk translation as an Apache Beam pipeline; see export.beam_translate, the command.

Imports run one way, from top to bottom:

    job           what is translated, checked before the work begins
    pipeline      the steps
"""
