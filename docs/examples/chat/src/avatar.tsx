const HUES = 360;

/** A colour that belongs to a name. */
function hueOf(name: string): number {
  let hue = 0;
  for (const character of name)
    hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % HUES;
  return hue;
}

export function Avatar({ name }: { name: string }) {
  return (
    <span
      className="avatar"
      style={{ background: `hsl(${hueOf(name)} 55% 45%)` }}
      aria-hidden
    >
      {name.slice(0, 1).toUpperCase()}
    </span>
  );
}
