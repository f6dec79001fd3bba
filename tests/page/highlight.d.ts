declare const highlighter: { getLanguage(name: string): unknown; highlight(code: string, options: object): { value: string } };
export default highlighter;
