"""From photos and label pictures to the pairs that training reads; `__main__` is the command.

    work, folders                           many files at once; what is there, and what is not yet
    pair_files, near_duplicates, hed        pairs of photos and of files; what looks alike; edges
    combine, colorize, edges, inpaint,
    split, labels, records, check           a task each, by its name on the command line

Each task module has `run(options)`, which takes the flags and returns a `work.Outcome`.
"""
