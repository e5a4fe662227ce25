// Light, dark, or as the system says; the choice stays in this browser.
const CHOICES = ["auto", "light", "dark"];
const NAMES = { auto: "as the system", light: "light", dark: "dark" };

const read = () => {
  try { return localStorage.getItem("visir-theme") || "auto"; } catch { return "auto"; }
};

function show(choice) {
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  const button = document.getElementById("theme");
  button.title = `Colours: ${NAMES[choice]}`;
  button.querySelector(".hidden").textContent = `Colours: ${NAMES[choice]}`;
}

show(read());
document.getElementById("theme").addEventListener("click", () => {
  const next = CHOICES[(CHOICES.indexOf(read()) + 1) % CHOICES.length];
  try { localStorage.setItem("visir-theme", next); } catch { /* a browser that keeps nothing */ }
  show(next);
});
