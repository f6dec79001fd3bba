"""The Portal that runs on this machine: ask it, search its documents and memory, use its tools."""

from portal.shipped.face import Face

FACE = Face(
    name="portal",
    title="Portal",
    instructions="A person's private AI platform. ask has one of its workspaces answer, with its own models, tools, "
    "documents and memory. find_tools and run_tool use any other tool of Portal's; where a person has to allow that, "
    "they are asked.",
    relays=True,
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
