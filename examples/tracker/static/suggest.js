// Suggested values: a slug or a key made from a name, until the reader writes their own.

const derivations = {
  slug: (name) => plain(name).toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 40).replace(/^-+|-+$/g, ""),
  key(name) {
    const words = plain(name).toUpperCase().replace(/[^A-Z ]/g, "").split(" ").filter(Boolean);
    return words.length > 1 ? words.map((word) => word[0]).join("").slice(0, 6) : (words[0] ?? "").slice(0, 3);
  },
};

function plain(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "");
}

function enhanceDerived(field) {
  const source = field.form.elements.namedItem(field.dataset.deriveFrom);
  const preview = document.querySelector(`[data-preview="${field.id}"]`);
  const show = () => { if (preview) preview.value = `/w/${field.value || preview.dataset.placeholder}`; };
  let isOwn = field.value !== "";
  field.addEventListener("input", () => {
    const { selectionStart, selectionEnd } = field;
    field.value = field.dataset.derive === "key" ? field.value.toUpperCase() : field.value.toLowerCase();
    field.setSelectionRange(selectionStart, selectionEnd);
    isOwn = field.value !== "";
    show();
  });
  source.addEventListener("input", () => {
    if (isOwn) return;
    field.value = derivations[field.dataset.derive](source.value);
    // Whoever shows what is wrong with a field wants to know.
    field.dispatchEvent(new Event("suggested", { bubbles: true }));
    show();
  });
  show();
}

document.querySelectorAll("[data-derive]").forEach(enhanceDerived);
