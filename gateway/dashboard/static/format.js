// Numbers with their units, as short as a glance allows.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const digits = (most) => new Intl.NumberFormat("en", { maximumFractionDigits: most });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const cents = new Intl.NumberFormat("en", { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const NOTHING = "–";

export function count(number) {
  if (number === null || number === undefined) return NOTHING;
  return number < 100_000 ? whole.format(number) : short.format(number);
}

/** Where there is little room. */
export const brief = (number) => (number < 10_000 ? count(number) : short.format(number));

/** [value, unit] */
export function duration(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return [NOTHING, ""];
  if (milliseconds < 10) return [digits(1).format(milliseconds), "ms"];
  if (milliseconds < 1_000) return [whole.format(milliseconds), "ms"];
  if (milliseconds < 10_000) return [digits(2).format(milliseconds / 1_000), "s"];
  if (milliseconds < 120_000) return [digits(1).format(milliseconds / 1_000), "s"];
  return [digits(1).format(milliseconds / 60_000), "min"];
}

export const milliseconds = (value) => duration(value).join(" ").trim();

/** Jobs that end a second, as [value, unit]; of few, a minute. */
export function rate(number, seconds) {
  const perSecond = seconds > 0 ? number / seconds : 0;
  if (perSecond > 0 && perSecond < 0.1) return [digits(1).format(perSecond * 60), "jobs/min"];
  return [perSecond < 100 ? digits(1).format(perSecond) : count(perSecond), "jobs/s"];
}

export const perSecond = (value) => `${digits(2).format(value)}/s`;

export function dollars(amount) {
  if (amount === null || amount === undefined) return NOTHING;
  if (amount === 0) return "$0";
  if (amount < 0.0001) return `$${three.format(amount)}`;
  if (amount < 1) return `$${cents.format(amount)}`;
  return amount < 10_000 ? `$${money.format(amount)}` : `$${short.format(amount)}`;
}

/** For an axis. */
export const dollarsShort = (amount) => `$${three.format(amount)}`;

export function share(part, all) {
  if (!all) return NOTHING;
  const percent = (100 * part) / all;
  return `${percent > 0 && percent < 0.1 ? "< 0.1" : digits(1).format(percent)} %`;
}

export function age(seconds) {
  if (seconds < 90) return `${whole.format(seconds)} s`;
  if (seconds < 5_400) return `${whole.format(seconds / 60)} min`;
  if (seconds < 129_600) return `${whole.format(seconds / 3_600)} h`;
  return `${whole.format(seconds / 86_400)} d`;
}

const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayAndTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export const clock = (instant) => clockTime.format(new Date(instant));
export const day = (instant) => dayAndTime.format(new Date(instant));
