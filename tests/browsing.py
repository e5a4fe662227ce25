"""What people do on the page."""

import base64

from playwright.sync_api import Page, expect

# A busy machine may take seconds for what is asked; a picture's words are read first.
expect.set_options(timeout=30_000)


def search(page: Page, words: str) -> None:
    page.goto("/")
    page.get_by_label("Search", exact=True).fill(words)
    expect(page.locator(".score").first).to_be_visible()


def first(page: Page):
    return page.locator(".hit").first


def give_files(page: Page, event: str, *files: tuple[str, str, bytes]) -> None:
    """Paste or drop files as the browser would bring them."""
    page.evaluate(
        """([event, files]) => {
            const data = new DataTransfer();
            for (const [name, type, encoded] of files) {
                const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
                data.items.add(new File([bytes], name, { type }));
            }
            if (event === "paste") document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
            else for (const kind of ["dragenter", "dragover", "drop"]) {
                const target = kind === "dragenter" ? document.body : document.querySelector(`[data-drop="${event}"]`);
                target.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
            }
        }""",
        [event, [(name, kind, base64.b64encode(content).decode()) for name, kind, content in files]],
    )
