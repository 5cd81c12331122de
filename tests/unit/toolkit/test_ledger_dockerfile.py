"""What a Dockerfile reads, by its text alone."""

from __future__ import annotations

from toolkit.building.ledger.dockerfile import Stage, Use, stages


def read(text, **arguments):
    return stages(text, arguments)


def test_a_stage_reads_what_it_copies_and_mounts():
    text = """
    FROM base AS one
    COPY --chmod=0755 --from=other /wheels/ a.txt /there/
    ADD https://example.com/file.tar data/*.csv /there/
    RUN --mount=source=src,target=/src --mount=type=secret,id=ca \\
        --mount=type=cache,target=/root/.cache \\
        # a comment between continued lines

        --mount=from=tools,target=/tools true
    """
    assert read(text) == [
        Stage(
            "one",
            (
                Use("base", (".",)),
                Use("other", ("wheels", "a.txt")),
                Use(None, ("data/*.csv",)),
                Use(None, ("src",)),
                Use("tools", (".",)),
            ),
        )
    ]


def test_paths_hold_build_arguments_and_their_defaults():
    text = "ARG BASE=debian\nFROM ${BASE} AS a\nARG LOCK=cpu\nCOPY ${LOCK}.txt $DIRECTORY/x ${SIDE:-left} /\n"
    assert read(text, LOCK="gpu") == [
        Stage("a", (Use("debian", (".",)), Use(None, ("gpu.txt", "*/x", "left")))),
    ]


def test_the_body_of_a_here_document_is_no_instruction():
    text = "FROM base\nRUN <<EOF\nCOPY no such\nEOF\nCOPY <<'END' /there\nADD no such\nEND\nCOPY yes /\n"
    assert read(text) == [Stage("0", (Use("base", (".",)), Use(None, ("yes",))))]


def test_sources_may_stand_in_a_list():
    assert read('FROM base\nCOPY ["a file", "b", "/"]\n') == [
        Stage("0", (Use("base", (".",)), Use(None, ("a file", "b"))))
    ]


def test_stages_without_a_name_have_a_number():
    assert [stage.name for stage in read("FROM a\nFROM b AS named\nFROM 0\n")] == ["0", "named", "2"]
