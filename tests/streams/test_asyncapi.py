import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import jsonschema
import pytest

from streams.asyncapi import KEYS, document
from streams.kafka.topics import TOPICS
from streams.messages import PUBLISHED

SPECS = "@asyncapi/specs@6.11.1"


@pytest.fixture(scope="session")
def specification(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The JSON Schema of AsyncAPI 3.0.0 as its makers publish it on npm."""
    folder: Path = tmp_path_factory.mktemp("asyncapi")
    if shutil.which("npm") is None:
        pytest.skip("npm is not here to fetch the AsyncAPI specification")
    packed = subprocess.run(
        ["npm", "pack", "--silent", SPECS], cwd=folder, capture_output=True, text=True, timeout=60
    )
    if packed.returncode:
        pytest.skip(f"the AsyncAPI specification cannot be fetched: {packed.stderr.strip()[-200:]}")
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        member = archive.extractfile("package/schemas/3.0.0-without-$id.json")
        assert member is not None
        return json.load(member)


@pytest.mark.parametrize("prefix", ["", "shop-eu."])
def test_the_description_is_valid_asyncapi(specification, prefix):
    jsonschema.Draft7Validator(specification).validate(document(prefix))


def test_every_reference_leads_somewhere():
    whole = document()

    def look(part: object) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                at = whole
                for name in part["$ref"].removeprefix("#/").split("/"):
                    at = at[name]
            for one in part.values():
                look(one)
        elif isinstance(part, list):
            for one in part:
                look(one)

    look(whole)


def test_every_published_topic_is_described():
    assert set(PUBLISHED) | {"dead-letters"} == set(KEYS)


def test_what_is_left_out_lies_between_workers():
    assert set(TOPICS) - set(KEYS) == {"evidence", "drift-summaries"}


def test_the_prefix_comes_before_every_address():
    assert {one["address"] for one in document("x.")["channels"].values()} == {f"x.{topic}" for topic in KEYS}


def test_an_event_has_the_forms_that_are_read():
    assert list(document()["channels"]["clicks"]["messages"]) == [
        "clicks",
        "clicks.cloudevent",
        "clicks.cloudevent-structured",
        "clicks.avro",
    ]


def test_what_lies_between_people_and_trainer_has_one_form():
    assert list(document()["channels"]["training-requests"]["messages"]) == ["training-requests"]


def test_a_cloudevent_may_leave_out_what_its_attributes_say():
    message = document()["components"]["messages"]["purchases.cloudevent"]
    assert message["payload"]["required"] == ["user_id", "item_id"]
