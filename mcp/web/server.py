"""The public web: search, read pages, crawl within a site."""

from portal.shipped.face import Face

FACE = Face(
    name="web",
    title="Web",
    instructions="Search the web, read pages as plain text, and read a whole part of a site with crawl_site, which "
    "obeys robots.txt. Addresses of this machine and its network are refused.",
    families={"web": ()},
)

if __name__ == "__main__":
    from portal.cli.shipped import alone

    alone(FACE)
