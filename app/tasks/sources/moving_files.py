"""Whether a file moves, by its first bytes: the front end does not decode images."""


def may_move(content: bytes) -> bool:
    """Whether a file is a GIF, or a WebP or PNG with several pictures."""
    if content.startswith(b"GIF8"):
        return True
    # of WebP the flag of animations, and a chunk for each picture
    if content[:4] == b"RIFF" and content[8:16] == b"WEBPVP8X":
        return len(content) > 20 and bool(content[20] & 0b10) and content.count(b"ANMF") > 1
    if content.startswith(b"\x89PNG"):
        control = content.find(b"acTL", 0, max(0, content.find(b"IDAT")))
        return control >= 0 and int.from_bytes(content[control + 4 : control + 8], "big") > 1
    return False
