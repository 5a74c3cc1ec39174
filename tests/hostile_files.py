"""A seeded corpus of files that are damaged, made to do harm, or oddly named.

All lie in one folder, as training finds pairs in it: A|B side by side, 64 x 32 pixels unless
a file's point is another size. Each stem is there once, so that no file hides another.
"""

from __future__ import annotations

import dataclasses
import io
import lzma
import os
import pathlib
import socket
import struct
import zlib

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 32, 64
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of `write`: this many damaged copies of each format, by cutting and by flipping bits.
_NUM_CUT, _NUM_FLIPPED = 6, 8


@dataclasses.dataclass(frozen=True)
class HostileFile:
    """One file of the corpus."""

    name: str
    kind: str  # What is hostile about it, in a word or two.
    is_good: bool | None  # Whether it has to be read or refused; None: either will do.


def write(folder: pathlib.Path, *, seed: int) -> list[HostileFile]:
    """Writes the corpus into a new folder; the same seed gives the same files."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    whole = whole_files(random)
    files = []

    def add(name: str, kind: str, contents: bytes | None, is_good: bool | None) -> None:
        if contents is not None:
            (folder / name).write_bytes(contents)
        files.append(HostileFile(name, kind, is_good))

    for label, contents in whole.items():
        add(f"good_{label}", "good", contents, True)
    for name in ODD_NAMES:
        add(name, "odd name, good", whole["rgb.png"], True)
        add(f"bad_{name[:100]}.png", "odd name, bad", whole["rgb.png"][:100], False)
    for label, contents in whole.items():
        stem, suffix = label.split(".")
        for number, size in enumerate(random.integers(1, len(contents), _NUM_CUT)):
            add(f"cut_{stem}_{suffix}_{number}.{suffix}", "truncated", contents[:size], None)
        for number in range(_NUM_FLIPPED):
            flipped = flip_bits(contents, random, 1 + number)
            add(f"flipped_{stem}_{suffix}_{number}.{suffix}", "bits flipped", flipped, None)
    for label, (contents, is_good) in _misnamed(whole).items():
        add(label, "wrong suffix", contents, is_good)
    for suffix in ("png", "jpg", "jpeg", "bmp", "npy", "tif", "tiff"):
        add(f"empty_{suffix}.{suffix}", "zero bytes", b"", False)
    for label, (contents, is_good) in _sizes().items():
        add(label, "extreme size", contents, is_good)
    for label, contents in _bombs(whole).items():
        # Where data ends before its marker does, libjpeg makes up the rest.
        is_good = None if label == "bomb_claims_most_jpg.jpg" else False
        add(label, "bomb", contents, is_good)
    for label, contents in _largest().items():
        add(label, "largest", contents, None)
        if label.endswith(".npy"):  # The rest of it is a hole, which takes no room.
            os.truncate(folder / label, len(contents) + 3 * 11_584 * 5792)
    for label, (contents, is_good) in _modes(whole).items():
        add(label, "odd pixels", contents, is_good)
    for label, (contents, is_good) in _arrays().items():
        add(label, "odd array", contents, is_good)
    for name in _write_special(folder):
        add(name, "no file", None, False)
    stems = [pathlib.Path(file.name).stem for file in files]
    assert len(set(stems)) == len(stems), "Two files of one stem hide each other."
    return files


# Shells, terminals, patterns, format strings and encodings take these for something else.
ODD_NAMES = (
    "with spaces in it.png",
    " .png",
    "größe.png",
    "日本語.png",
    "fox_\U0001f98a.png",
    "right_\u202e_to_left.png",
    "new\nline.png",
    "tab\tand\x1b[31mescape.png",
    "-dash.png",
    "--output=elsewhere.png",
    "glob_[a]*?.png",
    "quotes'\".png",
    "format_%s_{0}_$HOME.png",
    "back\\slash.png",
    "UPPER.PNG",
    os.fsdecode(b"latin1_\xe9.png"),  # Not UTF-8.
    "l" * 251 + ".png",  # As long as names can be.
)


def whole_files(random: np.random.Generator) -> dict[str, bytes]:
    """Returns an undamaged file of each format, by its name."""
    coarse = random.integers(0, 256, [4, 8, 4], dtype=np.uint8)
    rgba = coarse.repeat(HEIGHT // 4, 0).repeat(WIDTH // 8, 1)
    rgb, grey = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 0])
    return {
        "rgb.png": save(rgb, "PNG"),
        "alpha.png": save(rgba, "PNG"),
        "grey.png": save(grey, "PNG"),
        "palette.png": save(Image.fromarray(rgb).quantize(16), "PNG"),
        "deep.png": png(WIDTH, HEIGHT, rgb.astype(">u2").tobytes(), bits=16),
        "baseline.jpg": save(rgb, "JPEG"),
        "progressive.jpg": save(rgb, "JPEG", progressive=True),
        "cmyk.jpg": save(Image.fromarray(rgb).convert("CMYK"), "JPEG"),
        "turned.jpg": save(rgb, "JPEG", exif=exif(3)),
        "plain.bmp": save(rgb, "BMP"),
        "frame.gif": save(rgb, "GIF"),
        "lossy.webp": save(rgb, "WEBP"),
        "portable.pgm": save(grey, "PPM"),
        "packed.tga": save(rgb, "TGA", compression="tga_rle"),
        "bytes.npy": npy(rgb),
        "words.npy": npy(rgb.astype(np.uint16)),
        "strip.tif": save(rgb, "TIFF"),
        "deflated.tiff": save(rgb, "TIFF", compression="tiff_adobe_deflate"),
    }


def flip_bits(contents: bytes, random: np.random.Generator, count: int) -> bytes:
    """Returns a copy with so many bits flipped, half of them where headers are."""
    flipped = bytearray(contents)
    for number in range(count):
        end = min(64, len(flipped)) if number % 2 else len(flipped)
        flipped[random.integers(end)] ^= 1 << int(random.integers(8))
    return bytes(flipped)


def save(picture, kind: str, **options) -> bytes:
    """Returns the file of a picture of Pillow's, or of an array."""
    buffer = io.BytesIO()
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    """Returns Exif that states an orientation."""
    return b"Exif\0\0" + struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0)


def npy(array: np.ndarray) -> bytes:
    """Returns the `.npy` file of an array, of objects too."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_header(shape: tuple, descr: str = "|u1") -> bytes:
    """Returns a `.npy` file that ends after a header which states a shape."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def chunk(name: bytes, data: bytes) -> bytes:
    """Returns a chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int, *, bits: int = 8, colour: int = 2, lace: int = 0) -> bytes:
    """Returns the signature and first chunk of a PNG."""
    fields = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, lace)
    return PNG_SIGNATURE + chunk(b"IHDR", fields)


def png(width: int, height: int, values: bytes, *before: bytes, **header: int) -> bytes:
    """Returns a PNG of values that are those of its rows, all of one length.

    Args:
        width: Pixels.
        height: Pixels.
        values: Of all rows.
        *before: Chunks that stand before these.
        **header: See `png_header`.
    """
    size = len(values) // height
    rows = b"".join(b"\0" + values[row * size : (row + 1) * size] for row in range(height))
    return png_header(width, height, **header) + _png_end(zlib.compress(rows), *before)


def _png_end(data: bytes, *before: bytes) -> bytes:
    return b"".join(before) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _lzma_zeros(count: int) -> bytes:
    block_size = 2**24
    return lzma.compress(bytes(block_size), preset=0) * (count // block_size)


def deflate_zeros(count: int) -> bytes:
    """Returns so many zeros, compressed a thousandfold, without holding them."""
    block_size = 2**20
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # After a full flush nothing refers to what came before, so that a block can be repeated.
    block = compressor.compress(bytes(block_size)) + compressor.flush(zlib.Z_FULL_FLUSH)
    last = compressor.compress(bytes(count % block_size)) + compressor.flush()
    checksum = struct.pack(">HH", count % 65521, 1)
    return b"\x78\xda" + block * (count // block_size) + last + checksum


def tiff(width: int, height: int, data: bytes, *, compression: int = 1, samples: int = 1) -> bytes:
    """Returns a TIFF of 8 bits with one strip."""
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression), (262, 3, 1),
        (273, 4, 0), (277, 3, samples), (278, 4, height), (279, 4, len(data)),
    ]  # fmt: skip
    offset = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 1, offset if tag == 273 else value)
        for tag, kind, value in tags
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


def many_scans(count: int, *, width: int = 2880, height: int = 1440) -> bytes:
    """Returns a progressive JPEG of few bytes, whose scans each pass over the whole picture."""
    table = b"\xff\xc4" + struct.pack(">HB", 19 + 1, 0x00) + bytes([1] + 15 * [0]) + b"\0"
    ac = b"\xff\xc4" + struct.pack(">HB", 19 + 1, 0x10) + bytes([1] + 15 * [0]) + b"\xe0"
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    quantization = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    blocks = (width // 8) * (height // 8)

    def scan(first: int, last: int, high: int, low: int, data: bytes) -> bytes:
        head = struct.pack(">HBBBBBB", 8, 1, 1, 0x00, first, last, high << 4 | low)
        return b"\xff\xda" + head + data

    dc = scan(0, 0, 0, 0, bytes(blocks // 8 + 1))
    # Runs of 2**14 blocks without a value, in 15 bits each: a code of one bit, 14 bits of length.
    run = scan(1, 63, 0, 1, bytes(2 * (blocks // 2**14 + 2)))
    return b"\xff\xd8" + quantization + frame + table + ac + dc + run * count + b"\xff\xd9"


def _misnamed(whole: dict[str, bytes]) -> dict[str, tuple[bytes, bool | None]]:
    picture = Image.open(io.BytesIO(whole["rgb.png"]))
    return {
        "jpeg_as.png": (whole["baseline.jpg"], True),
        "png_as_jpg.jpg": (whole["rgb.png"], True),
        "bmp_as.jpeg": (whole["plain.bmp"], True),
        "gif_as.png": (save(picture, "GIF"), True),
        "webp_as.png": (save(picture, "WEBP"), True),
        "tiff_as.png": (whole["strip.tif"], False),
        "npy_as.png": (whole["bytes.npy"], False),
        "png_as_npy.npy": (whole["rgb.png"], False),
        "png_as_tif.tif": (whole["rgb.png"], False),
        "npz_as.npy": (_npz(), False),
        "text_as.png": (b"not a picture\n", False),
        "eps_as.png": (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 32\n%%EndComments\n",
            False,
        ),
        "zeros_as.png": (bytes(4096), False),
        "signature_alone.png": (PNG_SIGNATURE, False),
        "start_alone.jpg": (b"\xff\xd8\xff", False),
    }


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, np.zeros([HEIGHT, WIDTH, 3], np.uint8))
    return buffer.getvalue()


def _sizes() -> dict[str, tuple[bytes, bool | None]]:
    """Returns files of unusual shapes; a pair is refused if it is narrower than two squares."""

    def plain(width: int, height: int) -> bytes:
        return png(width, height, bytes(3 * width * height))

    return {
        "one_pixel.png": (plain(1, 1), None),
        "two_pixels.png": (plain(2, 1), None),
        "column_1x20000.png": (plain(1, 20_000), None),
        "row_20000x1.png": (plain(20_000, 1), None),
        "row_20000x1_array.npy": (npy(np.zeros([1, 20_000, 3], np.uint8)), None),
        "no_width.png": (png_header(0, 32) + _png_end(zlib.compress(bytes(32))), False),
        "no_height.png": (png_header(64, 0) + _png_end(zlib.compress(b"")), False),
    }


def _bombs(whole: dict[str, bytes]) -> dict[str, bytes]:
    """Returns small files that claim, or really hold, more than may be read."""
    jpeg, rest = whole["baseline.jpg"], whole["rgb.png"][33:]
    frame = jpeg.index(b"\xff\xc0") + 5

    def jpeg_of(width: int, height: int) -> bytes:
        return jpeg[:frame] + struct.pack(">HH", height, width) + jpeg[frame + 4 :]

    large = 2**31 - 1
    decoy = chunk(b"tEXt", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    return {
        "bomb_largest.png": png_header(large, large) + rest,
        "bomb_long.png": png_header(large, 1) + rest,
        "bomb_50000.png": png_header(50_000, 50_000) + rest,
        "bomb_claims_most.png": png_header(11_584, 5792, bits=16, colour=6) + rest,
        "bomb_decoy.png": PNG_SIGNATURE + decoy + png_header(30_000, 30_000)[8:] + rest,
        "bomb_two_headers.png": whole["rgb.png"][:33] + png_header(30_000, 30_000)[8:] + rest,
        "bomb_real.png": png_header(20_000, 20_000, colour=0)
        + _png_end(deflate_zeros(20_001 * 20_000)),
        "bomb_deflated.tif": tiff(16, 8, deflate_zeros(2**32), compression=8),
        "bomb_lzma.tif": tiff(16, 8, _lzma_zeros(2**32), compression=34925),
        "bomb_chunk_length.png": whole["rgb.png"][:33] + b"\x7f\xff\xff\xff" + rest[4:],
        "bomb_65535.jpg": jpeg_of(65_535, 65_535),
        "bomb_no_height.jpg": jpeg_of(64, 0),
        "bomb_claims_most_jpg.jpg": jpeg_of(11_584, 5792),
        "bomb_scans.jpg": many_scans(20_000),
        "bomb_claims_bmp.bmp": _bmp(2**31 - 1, 2**31 - 1),
        "bomb_both_negative.bmp": _bmp(-64, -32),
        "bomb_claims_npy.npy": npy_header((2**20, 2**20, 3)),
        "bomb_overflows.npy": npy_header((2**62, 2**62, 4)),
        "bomb_negative_npy.npy": npy_header((-32, -64, 3)),
        "bomb_float.npy": npy_header((2**28, 1, 3), "<f8"),
        "bomb_deep_header.npy": _deep_npy_header(),
        "bomb_claims_tif.tif": tiff(2**31, 2**31, b"\0" * 64),
        "bomb_claims_most_tif.tif": tiff(11_584, 5792, b"\0" * 64, samples=3),
        "bomb_circle.tif": b"II*\0\x08\0\0\0" + struct.pack("<HI", 0, 8),
        "bomb_many_tags.tif": b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 2000),
    }


def _bmp(width: int, height: int) -> bytes:
    fields = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + fields + bytes(64)


def _deep_npy_header() -> bytes:
    text = b"(" * 5000 + b")" * 5000
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text


def _largest() -> dict[str, bytes]:
    """Returns small files of nearly the most pixels that are read, and rightly so."""
    width, height = 11_584, 5792

    def plain(bytes_per_pixel: int, **header: int) -> bytes:
        data = deflate_zeros((width * bytes_per_pixel + 1) * height)
        return png_header(width, height, **header) + _png_end(data)

    return {
        "largest_grey.png": plain(1, colour=0),
        "largest_deep.png": plain(8, bits=16, colour=6),
        "largest.npy": npy_header((height, width, 3)),
    }


def _modes(whole: dict[str, bytes]) -> dict[str, tuple[bytes, bool | None]]:
    """Returns kinds of pixels that decoders rarely see."""
    indices = bytes(np.arange(HEIGHT * WIDTH, dtype=np.uint8))
    rows = zlib.compress(b"".join(b"\0" + indices[:WIDTH] for _ in range(HEIGHT)))
    palette = chunk(b"PLTE", bytes(range(48)))  # Of 16 colours.
    jpeg = whole["baseline.jpg"]
    frame = jpeg.index(b"\xff\xc0")
    picture = Image.open(io.BytesIO(whole["rgb.png"]))
    grey_alpha = np.random.default_rng(0).integers(0, 256, [HEIGHT, WIDTH, 2], dtype=np.uint8)
    rgb = bytes(3 * HEIGHT * WIDTH)
    text = chunk(b"zTXt", b"Comment\0\0" + deflate_zeros(2**28))
    profile = chunk(b"iCCP", b"icc\0\0" + deflate_zeros(2**28))
    return {
        "palette_of_16_bits.png": (
            png_header(WIDTH, HEIGHT, bits=16, colour=3) + palette + _png_end(rows), False
        ),
        "palette_missing.png": (png_header(WIDTH, HEIGHT, colour=3) + _png_end(rows), False),
        "palette_too_short.png": (
            png_header(WIDTH, HEIGHT, colour=3) + palette + _png_end(rows), None
        ),
        "one_bit.png": (png(WIDTH, HEIGHT, bytes(WIDTH * HEIGHT // 8), bits=1, colour=0), True),
        "seven_bits.png": (png(WIDTH, HEIGHT, indices, bits=7, colour=0), False),
        "colour_of_kind_5.png": (png(WIDTH, HEIGHT, rgb, colour=5), False),
        "laced_without_passes.png": (png(WIDTH, HEIGHT, rgb, lace=1), None),
        "grey_alpha.png": (png(WIDTH, HEIGHT, grey_alpha.tobytes(), colour=4), True),
        "text_that_inflates.png": (
            png_header(WIDTH, HEIGHT) + text + whole["rgb.png"][33:], None
        ),
        "profile_that_inflates.png": (
            png_header(WIDTH, HEIGHT) + profile + whole["rgb.png"][33:], None
        ),
        "pixels_that_inflate.png": (
            png_header(WIDTH, HEIGHT) + _png_end(deflate_zeros(2**28)), None
        ),
        "animated.png": (save(picture, "PNG", save_all=True,
                              append_images=[picture.rotate(180)]), False),
        "turned.png": (save(picture, "PNG", exif=exif(6)), False),
        "other_profile.png": (save(picture, "PNG", icc_profile=b"no profile at all"), None),
        "exif_is_noise.png": (save(picture, "PNG", exif=b"Exif\0\0" + bytes(range(80))), None),
        "twelve_bits.jpg": (jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :], False),
        "lossless.jpg": (jpeg[:frame] + b"\xff\xc3" + jpeg[frame + 2 :], False),
        "arithmetic.jpg": (jpeg[:frame] + b"\xff\xc9" + jpeg[frame + 2 :], None),
        "exif_points_far.jpg": (
            jpeg[:2] + b"\xff\xe1\0\x16Exif\0\0II*\0\xff\xff\xff\xff" + bytes(4) + jpeg[2:], None
        ),
        "ends_early.jpg": (jpeg[:-200] + b"\xff\xd9", None),
        "palette.bmp": (save(picture.quantize(16), "BMP"), True),
        "alpha.bmp": (save(picture.convert("RGBA"), "BMP"), True),
    }  # fmt: skip


class _Harm:
    """Makes a folder where it is unpickled, if it is."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def _arrays() -> dict[str, tuple[bytes, bool | None]]:
    shape = [HEIGHT, WIDTH, 3]
    floats = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    some_nan, infinite = floats.copy(), floats.copy()
    some_nan[3, 4, 1], infinite[0] = np.nan, np.inf
    pixels = (255 * floats).astype(np.uint8)
    objects = np.empty(shape[:2], object)
    objects[:] = 1
    harm = np.empty([1, 2], object)
    harm[:] = [[_Harm(), _Harm()]]
    return {
        "big_endian.npy": (npy(pixels.astype(">u2")), True),
        "fortran.npy": (npy(np.asfortranarray(pixels)), True),
        "floats.npy": (npy(floats), False),  # Their range is not stated.
        "nan.npy": (npy(np.full(shape, np.nan, np.float32)), False),
        "some_nan.npy": (npy(some_nan), False),
        "infinite.npy": (npy(infinite), False),
        "signed.npy": (npy(pixels.astype(np.int64)), False),
        "booleans.npy": (npy(pixels > 9), False),
        "text.npy": (npy(np.full(shape[:2], "text")), False),
        "records.npy": (npy(np.zeros(shape[:2], [("r", "u1"), ("g", "u1")])), False),
        "objects.npy": (npy(objects), False),
        "pickle.npy": (npy(harm), False),
        "vector.npy": (npy(pixels[0, :, 0]), False),
        "batch.npy": (npy(pixels[np.newaxis]), False),
        "no_rows.npy": (npy(pixels[:0]), False),
        "seven_channels.npy": (npy(np.zeros([HEIGHT, WIDTH, 7], np.uint8)), False),
        "pages.tif": (_pages(pixels), False),
        "code_in_header.npy": (npy_header(("__import__('os').mkdir('unpickled')",)), False),
    }


def _pages(pixels: np.ndarray) -> bytes:
    first = Image.fromarray(pixels)
    return save(first, "TIFF", save_all=True, append_images=[first.rotate(180)])


def _write_special(folder: pathlib.Path) -> list[str]:
    """Makes what has an image's name and is no file; returns the names."""
    links = {
        "loop_one.png": "loop_two.png",
        "loop_two.png": "loop_one.png",
        "link_to_nothing.png": "nowhere.png",
        "link_to_folder.png": ".",
        "link_to_zeros.png": "/dev/zero",
        "link_to_zeros_array.npy": "/dev/zero",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    (folder / "folder.png").mkdir()
    pipes = [f"pipe_{suffix}.{suffix}" for suffix in ("png", "npy", "tif")]
    for name in pipes:
        os.mkfifo(folder / name)
    here = os.getcwd()
    os.chdir(folder)  # The name of a socket has at most 107 bytes.
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket.png")
    finally:
        os.chdir(here)
    return [*links, *pipes, "folder.png", "socket.png"]
