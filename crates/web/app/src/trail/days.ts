// Days are those of the device: a night is a night where the person lives.

/** A day as `2026-11-22`: sorts as text. */
export type Day = string;

export function dayOf(ms: number): Day {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

export function monthOf(ms: number): string {
  return dayOf(ms).slice(0, 7);
}

/** Noon of a day: formats to that day also where the clocks change at midnight. */
export function noonOf(day: Day): number {
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(year, month - 1, date, 12).getTime();
}

export function addDays(day: Day, count: number): Day {
  const at = new Date(noonOf(day));
  at.setDate(at.getDate() + count);
  return dayOf(at.getTime());
}

/** Monday is 0. */
export function weekdayOf(day: Day): number {
  return (new Date(noonOf(day)).getDay() + 6) % 7;
}

/** Between ten in the evening and six in the morning. */
export function isNight(ms: number): boolean {
  const hour = new Date(ms).getHours();
  return hour >= 22 || hour < 6;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}
