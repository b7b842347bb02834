"""What the store says of a deletion."""

from services.storage.bucket import refusals


def test_an_object_that_the_store_keeps_is_a_refusal_and_one_that_was_not_there_is_none() -> None:
    kept = {"Key": "frames/job/1.png", "Code": "AccessDenied", "Message": "Access Denied"}
    missing = {"Key": "frames/job/2.png", "Code": "NoSuchKey"}
    assert refusals({"Deleted": [{"Key": "frames/job/3.png"}], "Errors": [missing, kept]}) == ["AccessDenied"]
    assert refusals({}) == []
