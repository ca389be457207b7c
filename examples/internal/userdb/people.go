package userdb

import (
	"fmt"
	"strings"
	"time"
)

// The lists' lengths are different primes: of the first 20,677 users no two agree in all three.
var (
	firstNames = []string{
		"Ada", "Ben", "Chiara", "David", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Lena", "Milan", "Nadia", "Omar",
		"Paula", "Quentin", "Rosa", "Sven", "Tara", "Ugo", "Vera", "Wim", "Xenia", "Yusuf", "Zoe", "Amira", "Bruno", "Clara",
	}
	lastNames = []string{
		"Abbot", "Becker", "Castro", "Dupont", "Eriksen", "Farkas", "Garcia", "Haddad", "Ito", "Jansen", "Kowalski", "Larsen", "Moreau",
		"Novak", "Okafor", "Peeters", "Quinn", "Rossi", "Silva", "Tanaka", "Ueda", "Varga", "Weber", "Xu", "Yilmaz", "Ziegler", "Adler",
		"Bianchi", "Costa", "Dahl", "Endo",
	}
	cities = []string{
		"Athens", "Bergen", "Cork", "Dresden", "Essen", "Faro", "Ghent", "Haarlem", "Izmir", "Jena", "Krakow", "Lyon", "Malmo", "Nantes",
		"Oulu", "Porto", "Riga", "Sofia", "Turin", "Utrecht", "Vienna", "Zagreb", "Aarhus",
	}
	firstDay = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)
)

func madeUp(id int64) User {
	first, last := pick(firstNames, id), pick(lastNames, id)
	return User{
		ID: id,
		Profile: Profile{
			Name:  first + " " + last,
			Email: strings.ToLower(fmt.Sprintf("%s.%s.%d@example.com", first, last, id)),
			City:  pick(cities, id),
		},
		Joined: firstDay.AddDate(0, 0, int(id%2000)).Format(time.DateOnly),
	}
}

func pick(list []string, id int64) string { return list[id%int64(len(list))] }
