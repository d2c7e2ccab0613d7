// The order of what a search finds: names before descriptions, and the nearer a name is to what was typed, the earlier.
const KINDS = ["RPC", "error", "message", "enum", "field", "value"];

// 0 for the name itself, 1 for its beginning, 2 for the beginning of a word in it, 3 for a part, 4 for the description.
// own: the part of a name that is not its message's or its enum's, as status of CallRequestResult.status.
function distance({ name, own, text }, typed) {
  const whole = name.toLowerCase();
  const query = typed.toLowerCase().trim();
  if (own.toLowerCase() === query || whole === query) return 0;
  if (own.toLowerCase().startsWith(query)) return 1;
  const words = query.split(/\s+/);
  const parts = name.split(/[._]|(?<=[a-z])(?=[A-Z])/).map((part) => part.toLowerCase());
  if (words.every((word) => parts.some((part) => part.startsWith(word)))) return 2;
  if (words.every((word) => whole.includes(word))) return 3;
  const all = `${whole} ${text.toLowerCase()}`;
  return words.every((word) => all.includes(word)) ? 4 : Infinity;
}

// Those of the entries, each { name, own, kind, text }, that match; all else equal in the order of kinds and of the contents.
function ranked(entries, typed) {
  return entries
    .map((entry) => ({ entry, rank: [distance(entry, typed), KINDS.indexOf(entry.kind)] }))
    .filter(({ rank }) => rank[0] < Infinity)
    .sort((one, other) => one.rank[0] - other.rank[0] || one.rank[1] - other.rank[1])
    .map(({ entry }) => entry);
}
