"""Pictures that the `image` crate cannot write; `pictures.rs` beside this folder reads them.

    pip install pillow
    python generate.py

Every picture is 24 × 16: red, green, blue and white quarters, in reading order. Upright, that is; `exif_*` are stored
turned, with an EXIF orientation that turns them back. `cmyk_adobe.jpg` is inverted, as Adobe programs and Pillow store
it, and says so in a segment; `ycck_adobe.jpg` is the same with its first three inks as YCbCr; `cmyk_plain.jpg` lacks the
segment. `thumbnail.jpg` has a whole little JPEG in its EXIF segment.
"""

import io
import pathlib

from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112

upright = Image.new("RGB", (24, 16))
for colour, corner in [(RED, (0, 0)), (GREEN, (12, 0)), (BLUE, (0, 8)), (WHITE, (12, 8))]:
    upright.paste(colour, (*corner, corner[0] + 12, corner[1] + 8))

# The transposition that undoes what a viewer does for an orientation.
STORED = {
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
for orientation, transposition in STORED.items():
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = upright.transpose(transposition)
    stored.save(HERE / f"exif_{orientation}.jpg", quality=95, subsampling=0, exif=exif)
    if orientation == 6:
        stored.save(HERE / "exif_6.png", exif=exif)

# Full inks with the black plate empty; the naive conversion Pillow itself uses gives the colours back.
cmyk = upright.convert("CMYK")
adobe = io.BytesIO()
cmyk.save(adobe, "JPEG", quality=95)
adobe = bytearray(adobe.getvalue())
(HERE / "cmyk_adobe.jpg").write_bytes(adobe)

segment = adobe.find(b"Adobe") - 4  # FF EE, length, then the name
length = 2 + int.from_bytes(adobe[segment + 2 : segment + 4], "big")
(HERE / "cmyk_plain.jpg").write_bytes(adobe[:segment] + adobe[segment + length :])

# Pillow writes no YCCK: YCbCr of the inverted colours goes into a CMYK file, whose segment is then changed to say so.
# `invert` once for YCCK, and once because Pillow inverts what it writes.
y, cb, cr = (ImageOps.invert(plane) for plane in ImageOps.invert(upright).convert("YCbCr").split())
ycck = Image.merge("CMYK", [y, cb, cr, cmyk.getchannel("K")])
stored = io.BytesIO()
ycck.save(stored, "JPEG", quality=95)
stored = bytearray(stored.getvalue())
stored[stored.find(b"Adobe") + 11] = 2
(HERE / "ycck_adobe.jpg").write_bytes(stored)

little = io.BytesIO()
upright.resize((12, 8)).save(little, "JPEG")
exif = b"Exif\0\0" + little.getvalue()
upright.save(HERE / "thumbnail.jpg", quality=95, subsampling=0, exif=exif)
