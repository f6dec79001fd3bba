"""The manifest of the Slack app that belongs to Portal: pasted once, it sets everything up."""

from collections.abc import Mapping
from typing import Any

SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "reactions:read",
    "users:read",
)
EVENTS = (
    "app_home_opened",
    "app_mention",
    "assistant_thread_started",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
    "reaction_removed",
)


def manifest(public_url: str = "") -> Mapping[str, Any]:
    """For Socket Mode, or with the address of `/channels/slack` for requests from Slack."""
    where = {"request_url": public_url} if public_url else {}
    command = {"command": "/portal", "description": "Ask Portal, or help, new, model, stop, stats, health, link CODE"}
    address = {"url": public_url} if public_url else {}
    return {
        "display_information": {
            "name": "Portal",
            "description": "Your private AI, wherever you are.",
            "background_color": "#1f2937",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "Portal", "always_online": True},
            "slash_commands": [{**command, "usage_hint": "[question or command]", "should_escape": True, **address}],
            "assistant_view": {"assistant_description": "Your private AI, with its tools, memory and knowledge."},
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": {**where, "bot_events": list(EVENTS)},
            "interactivity": {"is_enabled": True, **where},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not public_url,
            "token_rotation_enabled": False,
        },
    }
