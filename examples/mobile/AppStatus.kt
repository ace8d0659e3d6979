import java.net.HttpURLConnection
import java.net.URL
import java.time.Instant
import kotlinx.serialization.Serializable
import kotlinx.serialization.json.Json

// What of noren's status document this client reads. What it does not know, it
// ignores, and a value that it does not know is taken for "operational".
@Serializable
data class AppStatus(val services: Map<String, Service> = emptyMap(), val apps: Map<String, App> = emptyMap()) {
    @Serializable data class Text(val title: String = "", val detail: String = "", val late: String = "")
    @Serializable data class Closing(
        val until: String? = null, val overdue: Boolean = false, val lang: String = "", val messages: Map<String, Text> = emptyMap(),
    )
    @Serializable data class Service(val status: String = "operational", val closing: Closing? = null)
    @Serializable data class App(val minimum: String, val store: String? = null, val message: Map<String, String> = emptyMap())
}

sealed interface Decision {
    data object Open : Decision
    data class Maintenance(val title: String, val text: String, val until: Instant?) : Decision
    data class Update(val store: String?, val text: String) : Decision
}

// Call fetch from a background thread, as Dispatchers.IO.
class AppStatusClient(private val url: URL) { // https://status.example.com/.well-known/noren/app-status.json
    private val json = Json { ignoreUnknownKeys = true }
    private var last: AppStatus? = null
    private var etag: String? = null
    private var at = 0L

    // The document, null if there is none to be had: then go on as if everything
    // were open. The instant is the server's clock where it told it.
    @Synchronized
    fun fetch(): Pair<AppStatus?, Instant> {
        var now = Instant.now()
        runCatching {
            val c = url.openConnection() as HttpURLConnection
            try {
                c.connectTimeout = 2_000
                c.readTimeout = 2_000
                if (last != null) c.setRequestProperty("If-None-Match", etag)
                val code = c.responseCode
                if (c.date > 0) now = Instant.ofEpochMilli(c.date)
                if (code == 200) {
                    last = json.decodeFromString<AppStatus>(c.inputStream.bufferedReader().readText())
                    etag = c.getHeaderField("ETag")
                }
                if (code == 200 || code == 304) at = System.nanoTime()
            } finally {
                c.disconnect()
            }
        }
        // Who cannot ask any more must not be locked out by what was true an hour ago.
        val kept = last.takeIf { System.nanoTime() - at < 300_000_000_000 }
        return kept to now
    }
}

fun decide(status: AppStatus?, version: String, lang: String, now: Instant, needs: List<String>): Decision {
    status?.apps?.get("android")?.let { app ->
        if (older(version, app.minimum)) return Decision.Update(app.store, app.message[lang] ?: app.message["en"] ?: "")
    }
    for (name in needs) {
        val service = status?.services?.get(name) ?: continue
        if (service.status != "maintenance") continue // also "partial", and what a newer noren may say
        val closing = service.closing ?: AppStatus.Closing()
        val text = closing.messages[lang] ?: closing.messages[closing.lang] ?: AppStatus.Text()
        val until = closing.until?.let { runCatching { Instant.parse(it) }.getOrNull() }
        val late = closing.overdue || until != null && now > until
        return Decision.Maintenance(text.title, if (late && text.late.isNotEmpty()) text.late else text.detail, until)
    }
    return Decision.Open
}

// 3.9 is older than 3.10; a version that is not numbers with dots is never older.
fun older(version: String, minimum: String): Boolean {
    val a = version.split(".").map { it.toUIntOrNull() }
    val b = minimum.split(".").map { it.toUIntOrNull() }
    for (i in 0 until maxOf(a.size, b.size)) {
        val x = if (i < a.size) a[i] else 0u
        val y = if (i < b.size) b[i] else 0u
        if (x == null || y == null) return false
        if (x != y) return x < y
    }
    return false
}
