// The client of noren's status document for TypeScript: browsers, React Native,
// Node. It depends on nothing: copy it.

type Text = { title?: string; detail?: string; late?: string };

// What of the document this client reads. What it does not know, it ignores, and
// a value that it does not know is taken for "operational".
export interface Status {
  services?: Record<string, {
    status: string;
    closing?: { until?: string; overdue?: boolean; lang?: string; messages?: Record<string, Text> };
  }>;
  apps?: Record<string, { minimum: string; store?: string; message?: Record<string, string> }>;
}

export type Decision =
  | { kind: "open" }
  | { kind: "maintenance"; title: string; text: string; until?: Date }
  | { kind: "update"; store?: string; text: string };

const patience = 2_000;
// Who cannot ask any more must not be locked out by what was true an hour ago.
const keepFor = 5 * 60_000;

export class StatusClient {
  private last: Status | null = null;
  private etag = "";
  private at = 0;

  // https://status.example.com/.well-known/noren/app-status.json
  constructor(private readonly url: string) {}

  // Returns the document, null if there is none to be had: then go on as if
  // everything were open. now is the server's clock where it told it.
  async fetch(): Promise<{ status: Status | null; now: Date }> {
    let now = new Date();
    try {
      const headers: Record<string, string> = this.last ? { "If-None-Match": this.etag } : {};
      const res = await fetch(this.url, { headers, signal: AbortSignal.timeout(patience) });
      const date = Date.parse(res.headers.get("Date") ?? "");
      if (!Number.isNaN(date)) now = new Date(date);
      if (res.status === 200) {
        const fresh: unknown = await res.json();
        if (typeof fresh !== "object" || fresh === null) throw new Error("no document");
        this.last = fresh as Status;
        this.etag = res.headers.get("ETag") ?? "";
        this.at = Date.now();
      } else if (res.status === 304) {
        this.at = Date.now();
      }
    } catch {
      // No network, no server, no document: what is kept, or nothing.
    }
    return { status: Date.now() - this.at > keepFor ? null : this.last, now };
  }
}

// Says what to show on a platform, in a language, to a version of an app that
// needs these services.
export function decide(status: Status | null, platform: string, version: string, lang: string, now: Date, needs: string[]): Decision {
  const app = status?.apps?.[platform];
  if (app && older(version, app.minimum)) {
    return { kind: "update", store: app.store, text: app.message?.[lang] ?? app.message?.["en"] ?? "" };
  }
  for (const name of needs) {
    const service = status?.services?.[name];
    if (service?.status !== "maintenance") continue; // also "partial", and what a newer noren may say
    const closing = service.closing ?? {};
    const text = closing.messages?.[lang] ?? closing.messages?.[closing.lang ?? ""] ?? {};
    const until = closing.until ? new Date(closing.until) : undefined;
    const late = closing.overdue === true || (until !== undefined && now > until);
    return { kind: "maintenance", title: text.title ?? "", text: (late && text.late) || text.detail || "", until };
  }
  return { kind: "open" };
}

// Compares versions number by number: 3.9 is older than 3.10. A version that is
// not numbers with dots is never older.
export function older(version: string, minimum: string): boolean {
  const a = version.split("."), b = minimum.split(".");
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i] ?? "0", b[i] ?? "0"];
    if (!/^\d+$/.test(x) || !/^\d+$/.test(y)) return false;
    if (Number(x) !== Number(y)) return Number(x) < Number(y);
  }
  return false;
}
