"""What Portal says by itself in channels."""

STRANGER = (
    "Hello! This is a private Portal, and I do not know you yet. Its owner has been asked to let you in; "
    "or send `/link CODE` (in Slack `/portal link CODE`) with a code from Portal's settings (Channels)."
)
STRANGER_AGAIN = (
    "I still do not know you: the owner of this Portal has not let you in. "
    "`/link CODE` (in Slack `/portal link CODE`) does, with a code."
)
LINKED = "You are linked. Whatever you write here is answered by your Portal, and is in its list of conversations."
BAD_CODE = "That code is not known, was used, or is too old. Portal's settings (Channels) make a new one."
TOO_MANY = "Too many codes that were none. Try again in an hour."
WELCOME = "Hello! Write, and Portal answers. `/help` tells what can be asked for."
NEW = "A new conversation. What was said before stays in Portal's list."
STOPPED = "Stopped."
NOTHING_RUNS = "Nothing is running here."
NO_ANSWER = "*(No answer.)*"
WAS_STOPPED = "*(Stopped.)*"
INTERRUPTED = "*(Portal was stopped in the middle of this answer.)*"
NO_SPEECH = "I cannot listen yet, so please write it. For whoever runs this Portal: {why}"
NOTHING_HEARD = "I heard no words in it. Please say it again, or write it."
TOO_LARGE = "The file {name} is too large: {limit} MB is the most that can be sent here."
NO_FILE = "The file {name} could not be fetched: {why}"
FAILED = "⚠️ {why}"
REPEATED = "*(Sent again: it is not known whether it arrived before.)*"
NOT_SHOWN = "*(A part of this answer could not be shown here. It is in Portal.)*"
LEFT_ON_PAGE = "The file {name} is too large for this chat. It is in Portal."
WORKING = "…"
QUESTION = "**{tool}** asks: {why}\n\nReply to this message to answer."
APPROVAL = "**Allow {tool}?** {why}\n\n```json\n{arguments}\n```"
DECIDED = {
    "approved": "✅ Allowed: **{tool}**",
    "used": "✅ Allowed: **{tool}**",
    "denied": "🚫 Refused: **{tool}**",
    "expired": "⌛ Nobody decided in time: **{tool}**",
}
ANSWERED = "✅ Answered."
OVER = "That is decided already."
LINKED_ALREADY = "You are linked already. A code from Portal's settings (Channels), `/link CODE`, links you anew."
HELP = "Whatever you write is answered. Pictures and files can be sent, too, and an edited message is answered anew."
CHOOSE = "Which {kind}? Now: **{name}**"
CHOSEN = "From now on here: **{name}**"
NO_TOOLS = "There are no tools."
MEMORY_ALONE = "Memories are shown to you alone: ask in a direct chat."
REMEMBERED = "I will remember that."
NO_MEMORIES = "Nothing is remembered. `/memory TEXT` adds something."
NO_STATS = "Nothing was said here yet."
STATS = "{turns} answers, {tokens} tokens. Model: **{model}**"
STRANGER_HOME = (
    "I do not know you yet: send me `/link CODE` (in Slack `/portal link CODE`) "
    "with a code from Portal's settings (Channels)."
)
UNTITLED = "a conversation"
MOVED = "Here goes on **{title}**.\n\n{last}"
ALIVE = "Portal is up."
FORM = "**{tool}** asks: {why}\n\nPortal's page has the form to fill in."
