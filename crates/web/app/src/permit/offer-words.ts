// What a seller reads in the wallet: the statement of an offer's terms, which stands unchanged in every approval. The same
// as in crates/permit (sale/english.rs, sale/estonian.rs); tests/vectors/offers.json holds both to it.
import { checksummed } from "../ledger/schema";
import type { Hex } from "../ledger/types";
import { datasetId, type Dataset } from "./dataset";
import { PURPOSES } from "./purposes";
import type { Offer } from "./sale";
import { dataOf, type Language } from "./statements";

const LANGUAGES: readonly Language[] = ["en", "et"];

/** An amount of wei in ether, exactly. */
function ether(wei: string): string {
  const digits = wei.padStart(19, "0");
  const [whole, fraction] = [digits.slice(0, -18), digits.slice(-18).replace(/0+$/, "")];
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

export function timeIn(timeS: number, language: Language): string {
  const [date = "", clock = ""] = new Date(timeS * 1000).toISOString().split("T");
  const minute = clock.slice(0, 5);
  return language === "en" ? `${date} ${minute} UTC` : `${date.split("-").reverse().join(".")} kell ${minute} UTC`;
}

function access(seconds: number, language: Language): string {
  if (seconds === 0) return "";
  const sizes = [86_400, 3600, 60, 1];
  const unit = sizes.findIndex((size) => seconds % size === 0);
  const number = seconds / (sizes[unit] ?? 1);
  if (language === "en") {
    const name = `${["day", "hour", "minute", "second"][unit]}${number === 1 ? "" : "s"}`;
    return ` For ${number} ${name} after a sale the buyer may also look at these data where they are kept; I can end that `
      + "at any time.";
  }
  return ` Pärast müüki võib ostja ${number} ${["päeva", "tunni", "minuti", "sekundi"][unit]} jooksul neid andmeid ka nende `
    + "hoiukohas vaadata; saan selle igal ajal lõpetada.";
}

function formOf({ form }: Dataset, language: Language): string {
  if (form === "as-it-is") {
    return language === "en" ? "as they are, with names and all else that stands in them"
      : "muutmata, koos nimede ja kõige muuga, mis neis kirjas on";
  }
  const isSafeHarbor = form.profile === "hipaa-safe-harbor-v1";
  if (language === "en") {
    const dates = isSafeHarbor ? "of dates only the year" : "all dates moved by one secret number of days";
    return `without names, places, personal numbers and free text; ${dates} (${form.profile}). Who knows much about me may `
      + "still recognise me";
  }
  const dates = isSafeHarbor ? "kuupäevadest ainult aasta" : "kõik kuupäevad on nihutatud ühe salajase päevade arvu võrra";
  return `ilma nimede, kohtade, isiklike numbrite ja vabatekstita; ${dates} (${form.profile}). Kes minust palju teab, võib `
    + "mu siiski ära tunda";
}

/** An amount as every statement tells it. */
export function priceIn(price: string, token: Hex, language: Language): string {
  if (/^0x0*$/.test(token)) return `${ether(price)} ETH (${price} wei)`;
  return language === "en" ? `${price} smallest units of the token ${checksummed(token)}` : `${price} žetooni ${checksummed(token)} väikseimat ühikut`;
}

/** What every statement tells of a dataset. */
export function partsOf(dataset: Dataset, language: Language) {
  const isEnglish = language === "en";
  const [from, to] = [timeIn(dataset.fromS, language), timeIn(dataset.toS, language)];
  const codes = dataset.codes.join(", ");
  const only = codes === "" ? "" : isEnglish ? ` Only data with one of these codes: ${codes}.` : ` Ainult andmed, millel on üks neist koodidest: ${codes}.`;
  const [signed, added] = isEnglish ? ["only what organisations signed", "what organisations signed, and what I added myself"]
    : ["ainult see, mille on allkirjastanud asutused", "see, mille on allkirjastanud asutused, ja see, mille olen ise lisanud"];
  return {
    data: dataset.scopes.map((scope) => dataOf(scope, language)).join("; "), from, to, only, form: formOf(dataset, language),
    origin: dataset.origin === "signed" ? signed : added,
  };
}

/** The statement of an offer of this dataset; null if the fields cannot be told, or the terms name another dataset. */
export function renderOffer(offer: Offer, dataset: Dataset, language: Language): string | null {
  const purpose = PURPOSES.get(offer.terms.purpose);
  if (offer.terms.dataset !== datasetId(dataset) || purpose === undefined) return null;
  const seller = checksummed(offer.seller);
  const { data, from, to, only, form, origin } = partsOf(dataset, language);
  const [price, until, more] = [priceIn(offer.price, offer.token, language), timeIn(offer.expiresAt, language), access(offer.accessS, language)];
  if (language === "en") {
    return `I offer for sale a copy of health data of ${seller}: ${data}, from ${from} to ${to}.${only} Form: ${form}. Origin: `
      + `${origin}. Only for: ${purpose.english}. Price of each copy: ${price}, paid to ${seller}. Each sale needs an approval `
      + `of its own, in which I name the buyer; buyers can pay until ${until}.${more} A sold copy cannot be called back. A sale `
      + "is public forever: both addresses, price and time. (Medtrail sale 1)";
  }
  return `Pakun müügiks koopiat isiku ${seller} terviseandmetest, mis hõlmab järgmist: ${data}, ajavahemikust ${from} kuni `
    + `${to}.${only} Kuju: ${form}. Päritolu: ${origin}. Lubatud eesmärk: ${purpose.estonian}. Ühe koopia hind: ${price}, mille `
    + `saab ${seller}. Iga müük vajab eraldi heakskiitu, milles nimetan ostja; ostjad saavad maksta kuni ${until}.${more} Müüdud `
    + "koopiat ei saa tagasi võtta. Müük jääb igaveseks avalikuks: mõlemad aadressid, hind ja aeg. (Medtrail müük 1)";
}

/** In which language the statement says what the fields say; null: in none. */
export function offerLanguage(offer: Offer, dataset: Dataset): Language | null {
  return LANGUAGES.find((language) => renderOffer(offer, dataset, language) === offer.terms.statement) ?? null;
}
