// Runs before anything is painted: a theme that somebody has chosen must not arrive late.
try {
  const theme = localStorage.getItem("tracker.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be switched off; then the system's theme it is.
}
