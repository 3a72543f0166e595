"""Post-processors: what they take, and what every one of them takes."""

from factory.template.packer.post_processors.catalog import (
    KNOWN_ELSEWHERE,
    POST_PROCESSORS,
    OtherPostProcessor,
    PostMeta,
    PostProcessor,
    read_post_processor,
)

__all__ = [
    "KNOWN_ELSEWHERE",
    "POST_PROCESSORS",
    "OtherPostProcessor",
    "PostMeta",
    "PostProcessor",
    "read_post_processor",
]
