import Foundation

/// What of noren's status document this client reads. Codable ignores what it
/// does not know; a value that it does not know is taken for "operational".
struct AppStatus: Decodable {
    struct Text: Decodable { var title: String?, detail: String?, late: String? }
    struct Closing: Decodable { var until: Date?, overdue: Bool?, lang: String?, messages: [String: Text]? }
    struct Service: Decodable { var status: String, closing: Closing? }
    struct App: Decodable { var minimum: String, store: URL?, message: [String: String]? }
    var services: [String: Service]?
    var apps: [String: App]?
}

enum Decision {
    case open
    case maintenance(title: String, text: String, until: Date?)
    case update(store: URL?, text: String)
}

actor AppStatusClient {
    private let url: URL // https://status.example.com/.well-known/noren/app-status.json
    private let session: URLSession
    private var last: AppStatus?
    private var etag: String?
    private var at = Date.distantPast

    init(url: URL) {
        self.url = url
        let config = URLSessionConfiguration.ephemeral
        config.timeoutIntervalForRequest = 2
        config.timeoutIntervalForResource = 2
        session = URLSession(configuration: config)
    }

    /// The document, nil if there is none to be had: then go on as if everything
    /// were open. `now` is the server's clock where it told it.
    func fetch() async -> (status: AppStatus?, now: Date) {
        var request = URLRequest(url: url, cachePolicy: .reloadIgnoringLocalCacheData)
        if last != nil, let etag { request.setValue(etag, forHTTPHeaderField: "If-None-Match") }
        var now = Date()
        if let (data, response) = try? await session.data(for: request), let http = response as? HTTPURLResponse {
            if let date = http.value(forHTTPHeaderField: "Date").flatMap(Self.httpDate.date(from:)) { now = date }
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            if http.statusCode == 304 {
                at = Date()
            } else if http.statusCode == 200, let fresh = try? decoder.decode(AppStatus.self, from: data) {
                (last, etag, at) = (fresh, http.value(forHTTPHeaderField: "ETag"), Date())
            }
        }
        // Who cannot ask any more must not be locked out by what was true an hour ago.
        return (Date().timeIntervalSince(at) > 5 * 60 ? nil : last, now)
    }

    private static let httpDate: DateFormatter = {
        let f = DateFormatter()
        f.locale = Locale(identifier: "en_US_POSIX")
        f.timeZone = TimeZone(identifier: "GMT")
        f.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        return f
    }()
}

func decide(_ status: AppStatus?, version: String, lang: String, now: Date, needs: [String]) -> Decision {
    if let app = status?.apps?["ios"], older(version, than: app.minimum) {
        return .update(store: app.store, text: app.message?[lang] ?? app.message?["en"] ?? "")
    }
    for name in needs {
        guard let service = status?.services?[name], service.status == "maintenance" else { continue }
        let closing = service.closing
        let text = closing?.messages?[lang] ?? closing?.messages?[closing?.lang ?? ""]
        let late = closing?.overdue == true || (closing?.until.map { now > $0 } ?? false)
        return .maintenance(title: text?.title ?? "", text: (late ? text?.late : nil) ?? text?.detail ?? "", until: closing?.until)
    }
    return .open
}

/// 3.9 is older than 3.10; a version that is not numbers with dots is never older.
func older(_ version: String, than minimum: String) -> Bool {
    let a = version.split(separator: ".", omittingEmptySubsequences: false).map { UInt($0) }
    let b = minimum.split(separator: ".", omittingEmptySubsequences: false).map { UInt($0) }
    for i in 0..<max(a.count, b.count) {
        guard let x = i < a.count ? a[i] : 0, let y = i < b.count ? b[i] : 0 else { return false }
        if x != y { return x < y }
    }
    return false
}
