"""Models of junyanz/pytorch-CycleGAN-and-pix2pix: their files, and what each array is here.

Imports run one way. A module imports from lines above its own:

    torch_file      what `torch.save` writes, read and written without PyTorch; no TensorFlow
    networks        names and shapes of that code's networks, as settings and weights of ours
"""
