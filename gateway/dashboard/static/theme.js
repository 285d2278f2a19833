// As the system has it, until somebody chooses.

const KEY = "theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const NAMES = { light: "light", dark: "dark", system: "as the system" };
const NEXT = { system: "light", light: "dark", dark: "system" };

export function followTheme(button, onChange) {
  const apply = () => {
    const chosen = choice();
    document.documentElement.dataset.theme = chosen === "system" ? systemTheme() : chosen;
    button.setAttribute("aria-label", `Colours: ${NAMES[chosen]}`);
    button.title = `Colours: ${NAMES[chosen]}`;
    onChange();
  };
  button.addEventListener("click", () => {
    choose(NEXT[choice()]);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

function choice() {
  return localStorage.getItem(KEY) ?? "system";
}

function choose(theme) {
  if (theme === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
}

function systemTheme() {
  return system.matches ? "dark" : "light";
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
