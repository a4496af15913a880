// Light or dark: what was chosen on this machine, else what the system asks for.
const COLOURS = "weighbridge-colours";
const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");

function chosenColours() {
  try {
    return localStorage.getItem(COLOURS) ?? "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

function showColours() {
  const dark = chosenColours() ? chosenColours() === "dark" : systemIsDark.matches;
  document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
}

function chooseColours(choice) {
  try {
    if (choice) localStorage.setItem(COLOURS, choice);
    else localStorage.removeItem(COLOURS);
  } catch {
    document.documentElement.dataset.bsTheme = choice || "light";
    return;
  }
  showColours();
}

showColours();
systemIsDark.addEventListener("change", showColours);
// chosen in another tab
window.addEventListener("storage", showColours);
