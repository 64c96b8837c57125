import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Posts JSON three times with the client of the JDK, as its documentation shows, and prints the last response. */
public class Post {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(arguments[1]))
            .build();
        HttpResponse<String> response = null;
        for (int i = 0; i < 3; i++) {
            response = client.send(request, HttpResponse.BodyHandlers.ofString());
        }
        System.out.println(response.statusCode() + " " + response.body());
    }
}
