"""Office documents: one content for Word, PowerPoint, Excel, PDF and Markdown, a writer and an editor for each."""
