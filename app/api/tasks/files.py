"""Files in the field of a multipart form, and options in a query string."""

from typing import TypeVar

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from app.api.body import read_fields
from app.api.tasks.forms import RequestOptions
from app.errors import ContradictoryOptions, TooManyInputs

MULTIPART = "multipart/form-data"
BINARY = {"schema": {"type": "string", "format": "binary"}}
_TOO_MANY = "Too many files"  # as Starlette's error begins
_MORE_FILES = 1000  # read beyond the limit of inputs, so that the error can give their number
OptionsT = TypeVar("OptionsT", bound=RequestOptions)


async def read_files(request: Request, field: str, *, most: int) -> tuple[list[bytes], FormData]:
    """The files of a field, and the other fields. Raises TooManyInputs for many more than `most`."""
    try:
        async with request.form(max_files=most + _MORE_FILES) as form:
            uploads = [upload for upload in form.getlist(field) if isinstance(upload, UploadFile)]
            files = [await upload.read() for upload in uploads]
            return files, FormData([(name, value) for name, value in form.multi_items() if name != field])
    except HTTPException as error:
        if not error.detail.startswith(_TOO_MANY):
            raise
        raise TooManyInputs(
            f"the form has more than {most + _MORE_FILES} files; the limit is {most}: send fewer", limit=most
        ) from None


def with_query(request: Request, in_body: OptionsT, options: type[OptionsT]) -> OptionsT:
    """The options of body and query string. Raises ContradictoryOptions for an option in both."""
    if not request.query_params:
        return in_body
    in_query = read_fields(request.query_params, options)
    twice = sorted(in_body.model_fields_set & in_query.model_fields_set)
    if twice:
        raise ContradictoryOptions(
            f"{', '.join(twice)}: given in the body and in the query string; leave out one of them", options=twice
        )
    given = {name: getattr(in_query, name) for name in in_query.model_fields_set}
    return in_body.model_copy(update=given)
