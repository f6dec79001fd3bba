"""MCP servers, seen as toolsets."""
