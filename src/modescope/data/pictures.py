"""Picture files: which there are in a folder, and what each shows."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from modescope.errors import UserError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # of eight bits a channel or less
NAMED = 3  # faults that a message names


def pictures_in(folder: Path) -> list[Path]:
    """Picture files that lie in a folder, by name, links that lead nowhere among them. Raises UserError for none."""
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in FORMATS and not file.is_dir())
    if not found:
        raise UserError(f"{folder} holds no pictures ({', '.join(FORMATS)}): fill it or delete it")
    return found


def folders_in(folder: Path) -> list[Path]:
    """Folders that lie in a folder, hidden ones left out, by name."""
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def has_pictures(folder: Path) -> bool:
    """Whether picture files lie in the folder itself."""
    return any(file.suffix.lower() in FORMATS and file.is_file() for file in folder.iterdir())


def refuse_mode(mode: str, modes: Sequence[str] = MODES) -> None:
    """Raises ValueError for a picture of another mode than those that are understood."""
    if mode not in modes:
        raise ValueError(f"it is of Pillow's mode {mode}: save it as grey or RGB of 8 bits a channel")


def on_white(picture: Image.Image) -> Image.Image:
    """In RGB, what is transparent in it on white."""
    if picture.mode in ("L", "RGB", "CMYK", "YCbCr") and "transparency" not in picture.info:
        return picture.convert("RGB")
    layers = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


def fitted(picture: Image.Image, channels: int, side: int) -> Image.Image:
    """A picture as a square of `side` pixels: upright as its EXIF data say, on white, in 3 channels or in 1 (luma), the
    middle of it, resized by Pillow's bicubic filter, which is antialiased and computed in integers.
    """
    refuse_mode(picture.mode)
    upright = on_white(ImageOps.exif_transpose(picture))
    coloured = upright if channels == 3 else upright.convert("L")
    return ImageOps.fit(coloured, (side, side), Image.Resampling.BICUBIC)


def named(faults: Sequence[str]) -> str:
    """The first few of some faults, and how many more there are."""
    more = f" and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    return ", ".join(faults[:NAMED]) + more
