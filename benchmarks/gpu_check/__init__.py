"""What somebody with a GPU runs once: every claim that needs one, in a JSON file and a page.

checks          a row of the report: what was measured, its bound, its verdict
settings        the flags, and the configurations of training that follow
environment     versions, devices
loss_scaling    float16 training: an overflow is skipped, all else is not
agreement       a step on the GPU and on several devices against the same step on the CPU
speed           images a second and memory, by precision and batch
training        a run through the data pipeline
idle            how long the GPU computes nothing in such a run, by TensorFlow's profiler
exporting       the SavedModel of that run against the run
report          the JSON file and the page
"""
